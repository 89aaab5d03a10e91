/** The package URL of an installed package. Source: purl-spec, types deb, apk, rpm, npm and pypi; `upstream` is what scanners look for beside them. */
import { packageUrl } from '../package-url.ts';
import type { InstalledPackage } from './installed-package.ts';
import type { OperatingSystem } from './operating-system.ts';
import { pythonName } from './python-packages.ts';

export function packagePurl(installed: InstalledPackage, system: OperatingSystem | undefined): string {
  const { manager, name, version, architecture: arch, upstream, epoch } = installed;
  switch (manager) {
    case 'npm':
      return packageUrl({ type: 'npm', namespace: installed.scope, name, version });
    case 'pypi':
      return packageUrl({ type: 'pypi', name: pythonName(name), version });
    case 'deb':
    case 'apk':
    case 'rpm': {
      const distro = system && `${system.id}${system.version === undefined ? '' : `-${system.version}`}`;
      const qualifiers = { arch, distro, upstream, epoch };
      return packageUrl({ type: manager, namespace: system?.id ?? USUAL[manager], name, version, qualifiers });
    }
  }
}

/** Of images that do not say what they are. */
const USUAL = { deb: 'debian', apk: 'alpine', rpm: undefined } as const;
