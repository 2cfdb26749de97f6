// Stands for the Supabase project inside workerd: all that the gateway and the functions can reach, but for the
// webhook of alerts where one is given.
// Bodies pass through it as they flow, and never through JavaScript.
export default {
  async fetch(request, { PROJECT_URL, WEBHOOK, AUTH, REST }) {
    const url = new URL(request.url);
    if (url.href === WEBHOOK) return await fetch(request, { redirect: 'manual' });
    if (url.origin !== PROJECT_URL)
      return refusal(403, `the development stack reaches no other address (${url.origin})`);
    if (url.pathname.startsWith('/auth/v1/')) return await AUTH.fetch(request);
    if (!/^\/rest\/v1(\/|$)/.test(url.pathname)) return refusal(404, 'nothing here');
    url.pathname = url.pathname.slice('/rest/v1'.length);
    try {
      return await REST.fetch(new Request(url, request), { redirect: 'manual' });
    } catch {
      return refusal(503, 'PostgREST does not answer');
    }
  },
};

function refusal(status, message) {
  return Response.json({ message }, { status, headers: { 'access-control-allow-origin': '*' } });
}
