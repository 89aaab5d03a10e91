import { chooseLauncher } from '../../src/sandbox/launcher.ts';
import { launcherContract } from '../contracts/launcher.ts';

launcherContract('helper', () => chooseLauncher('helper'));
