/**
 * Settles when this program should stop: Ctrl-C, SIGTERM, SIGHUP, or the end of standard input,
 * whose other end the supervisor (`cargo xtask`) holds and writes nothing into. Call it early and
 * once, in programs that the supervisor starts and that start a stack.
 */
export function stopRequested(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve());
    const { stdin } = process;
    stdin
      .on('end', () => resolve())
      .on('error', () => resolve())
      .resume();
    // A program that has finished its work must be able to end.
    if ('unref' in stdin) stdin.unref();
  });
}
