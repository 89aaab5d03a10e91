import { chooseLauncher } from '../../src/sandbox/launcher.ts';
import { chrootContract } from '../contracts/chroot.ts';
import { launcherContract } from '../contracts/launcher.ts';

launcherContract('engine', () => chooseLauncher('engine'));
chrootContract('engine', () => chooseLauncher('engine'));
