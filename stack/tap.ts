/** What one file of tests came to. */
export interface TapResult {
  passed: number;
  /** One entry for each failed test, or fault of the file as a whole, with its diagnostics. */
  failures: string[];
}

/** Reads the lines that pgTAP's functions returned. */
export function readTap(lines: readonly string[]): TapResult {
  const result: TapResult = { passed: 0, failures: [] };
  let planned: number | undefined;
  let afterFailure = false;
  for (const line of lines.flatMap((text) => text.split('\n'))) {
    const plan = /^1\.\.(\d+)/.exec(line);
    if (plan !== null) planned = Number(plan[1]);
    else if (/^ok\b/.test(line)) result.passed += 1;
    else if (/^not ok\b.*# TODO\b/i.test(line)) result.passed += 1;
    else if (/^not ok\b/.test(line)) result.failures.push(line);
    else if (line.startsWith('#') && afterFailure) result.failures.push(`${result.failures.pop()}\n    ${line}`);
    afterFailure = /^not ok\b/.test(line) || (afterFailure && line.startsWith('#'));
  }
  const ran = result.passed + result.failures.length;
  if (ran === 0) result.failures.push('the file has no test');
  else if (planned === undefined)
    result.failures.push('the file has no plan: begin with plan(n) or no_plan(), end with finish()');
  else if (planned !== ran) result.failures.push(`planned ${planned} tests, ran ${ran}`);
  return result;
}
