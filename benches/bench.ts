// The benchmarks: ratios within one run. Started by `cargo xtask bench`, which builds first.
import { StackFailure, sentence } from '../stack/failure.ts';
import { stopRequested } from '../stack/supervised.ts';
import { backup } from './backup.ts';
import { capture } from './capture.ts';
import { find } from './find.ts';
import { fleet } from './fleet.ts';
import { independence } from './independence.ts';
import { many } from './many.ts';
import { type Name, type Options, readOptions } from './options.ts';
import { paths } from './paths.ts';
import { newStateFolder, openPlace, type Place, removeStateFolder } from './place.ts';
import { proof } from './proof.ts';
import { references } from './references.ts';
import { print, printSummary, type Section } from './report.ts';
import { rewind } from './rewind.ts';
import { writers } from './writers.ts';

const INTERRUPTED = 130;

const MEASUREMENTS: Record<Name, (place: Place, options: Options) => Promise<Section>> = {
  capture,
  paths,
  rewind,
  independence,
  references,
  writers,
  fleet,
  find,
  many: (_place, options) => many(options),
  backup: (_place, options) => backup(options),
  proof: (_place, options) => proof(options),
};

const asked = stopRequested();
process.exit(await main());

async function main(): Promise<number> {
  const cleanUp: (() => Promise<void> | void)[] = [];
  try {
    const options = readOptions(process.argv.slice(2));
    return (await Promise.race([run(options, cleanUp), asked])) ?? INTERRUPTED;
  } catch (error) {
    console.error(`error: ${error instanceof StackFailure ? sentence(error) : (error as Error).stack}`);
    return 1;
  } finally {
    for (const step of cleanUp.reverse()) await step();
  }
}

async function run(options: Options, cleanUp: (() => Promise<void> | void)[]): Promise<number> {
  const sections: Section[] = [];
  let failed = false;
  const stateDir = newStateFolder();
  cleanUp.push(() => removeStateFolder(stateDir));
  const place = await openPlace(stateDir, options.emaj);
  cleanUp.push(() => place.close());
  for (const name of options.only) {
    try {
      const section = await MEASUREMENTS[name](place, options);
      print(section);
      sections.push(section);
    } catch (error) {
      failed = true;
      console.error(`\nerror: ${name} was not measured: ${sentence(error)}`);
    }
  }
  printSummary(sections);
  return failed ? 1 : 0;
}
