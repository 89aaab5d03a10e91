/** A package that the records of a package manager say is installed: strings of strangers, cut to what can be shown. */
export interface InstalledPackage {
  readonly manager: 'deb' | 'apk' | 'rpm' | 'npm' | 'pypi';
  readonly name: string;
  readonly version: string;
  readonly architecture?: string | undefined;
  /** Of npm: with its `@`. */
  readonly scope?: string | undefined;
  /** The package that it was built from, with its version where that differs, as `source@version`. */
  readonly upstream?: string | undefined;
  /** Of rpm, where it is not 0. */
  readonly epoch?: string | undefined;
  /** As the package writes it: an expression, a name, or several. */
  readonly license?: string | undefined;
  /** Who gives it out, as `Name <address>` or a name. */
  readonly supplier?: string | undefined;
  readonly homepage?: string | undefined;
  readonly summary?: string | undefined;
  /** Where that is written: a path in the image. */
  readonly recordedIn: string;
  /** Where two records are of one package: the directory that both are of. By default `recordedIn`. */
  readonly installedIn?: string | undefined;
}

const TEXT_MAX = 1024;

/** A field that may be shown: one line, without control characters; undefined where nothing is left. */
export function field(text: string | undefined): string | undefined {
  const clean = text
    ?.slice(0, TEXT_MAX * 2)
    .replace(/[\x00-\x1f\x7f-\x9f\ufffd]+/g, ' ')
    .trim()
    .slice(0, TEXT_MAX);
  // Half of a pair of surrogates is nothing that JSON may have.
  return clean === undefined || clean === '' ? undefined : Buffer.from(clean).toString();
}
