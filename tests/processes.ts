import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** A process of this machine. */
export interface Process {
  pid: number;
  parent: number;
  command: string;
}

/** Every living process. Dead ones that nobody has asked about are left out. */
export function processes(): Process[] {
  return process.platform === 'linux' ? fromProc() : fromPs();
}

/** A process's children, their children, and so on. */
export function descendants(pid: number, all = processes()): Process[] {
  return all.filter((one) => one.parent === pid).flatMap((child) => [child, ...descendants(child.pid, all)]);
}

/** The processes among `those` that still live. */
export function stillAlive(those: readonly Process[]): Process[] {
  const now = new Map(processes().map((one) => [one.pid, one]));
  return those.filter((one) => now.get(one.pid)?.command === one.command);
}

/** Waits until none of `those` lives, and gives what does when the time is up. */
export async function gone(those: readonly Process[], withinMs = 8_000): Promise<Process[]> {
  const deadline = Date.now() + withinMs;
  while (Date.now() < deadline && stillAlive(those).length > 0) await new Promise((resolve) => setTimeout(resolve, 50));
  return stillAlive(those);
}

function fromProc(): Process[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        if (state === 'Z') return [];
        // Postgres's backends rewrite their command line, so the program's name is safer.
        return [
          {
            pid: Number(name),
            parent: Number(parent),
            command: stat.slice(stat.indexOf('('), stat.lastIndexOf(')') + 1),
          },
        ];
      } catch {
        return [];
      }
    });
}

function fromPs(): Process[] {
  const text = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,stat=,comm='], { encoding: 'utf8' });
  return text
    .trim()
    .split('\n')
    .flatMap((line) => {
      const [pid, parent, state, ...command] = line.trim().split(/\s+/);
      return state?.startsWith('Z') ? [] : [{ pid: Number(pid), parent: Number(parent), command: command.join(' ') }];
    });
}
