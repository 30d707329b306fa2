/** Imported before all else: yargs asks for the working folder while it loads, and fails with a stack where it is gone. */
import { writeSync } from 'node:fs';

try {
  process.cwd();
} catch {
  writeSync(
    2,
    'ERROR: The working folder is gone [no_working_folder]\nhint: change to a folder that exists: cd ~\n',
  );
  process.exit(1);
}
