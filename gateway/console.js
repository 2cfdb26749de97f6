// The console's files at /m23/, with the headers that keep a page safe, and its settings.

const NAME = /^\/m23\/(.*)$/;

// Answers for everything at /m23; nothing for other paths.
export async function consoleAnswer(request, env, url) {
  if (url.pathname === '/m23') return Response.redirect(`${url.origin}/m23/${url.search}`, 308);
  const [, file] = NAME.exec(url.pathname) ?? [];
  if (file === undefined || !isPublic(env.SUPABASE_ANON_KEY)) return undefined;
  if (!['GET', 'HEAD'].includes(request.method)) return undefined;
  const address = new URL(env.CONSOLE_ADDRESS || url.origin).origin;
  const headers = safeHeaders(address);
  if (file === 'config.json') {
    return Response.json(
      { address, anonKey: env.SUPABASE_ANON_KEY },
      { headers: { ...headers, 'cache-control': 'no-store' } },
    );
  }
  const found = await env.CONSOLE.fetch(new Request(new URL(`/${file}`, url), { method: request.method }));
  if (!found.ok) return undefined;
  const response = new Response(found.body, found);
  for (const [name, value] of Object.entries(headers)) response.headers.set(name, value);
  response.headers.set(
    'cache-control',
    file.startsWith('assets/') ? 'public, max-age=31536000, immutable' : 'no-cache',
  );
  return response;
}

function safeHeaders(address) {
  return {
    'content-security-policy': [
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self'",
      "img-src 'self'",
      `connect-src ${address}`,
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
      "require-trusted-types-for 'script'",
      "trusted-types 'none'",
    ].join('; '),
    'cross-origin-opener-policy': 'same-origin',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
  };
}

// A key that a browser may have: never the service key, whatever a deployment has put there by mistake.
function isPublic(key) {
  if (!key || key.startsWith('sb_secret_')) return false;
  if (key.startsWith('sb_publishable_')) return true;
  try {
    const claims = JSON.parse(atob(key.split('.')[1].replaceAll('-', '+').replaceAll('_', '/')));
    return claims.role === 'anon';
  } catch {
    return false;
  }
}
