/** `type=oci` and `type=docker`: a file, standard output, a directory, or a Docker daemon. */
import { TsbuildError } from '../errors.ts';
import { formatReference, parseNewName } from '../oci/reference.ts';
import { IMAGE_ATTRIBUTES, imageAttributes, namesOf } from './image-attributes.ts';
import { type NamedImage, saveImages } from './oci-archive.ts';
import { writeLayout } from './oci-layout.ts';
import type { ArchiveOutput, Exporter, ExportSession } from './output.ts';
import { streamOf } from './stream-of.ts';

export const archiveExporter: Exporter<ArchiveOutput> = {
  attributes: [...IMAGE_ATTRIBUTES, 'dest', 'tar'],
  parse: (fields) => ({
    type: fields.type === 'docker' ? 'docker' : 'oci',
    ...imageAttributes(fields),
    dest: fields.text('dest'),
    tar: fields.boolean('tar'),
  }),
  check(output, { tags, isIndex }) {
    namesOf(output, tags);
    if (output.tar === false && (output.dest === undefined || output.dest === '-')) {
      throw new TsbuildError('USAGE', `Cannot write an output type=${output.type},tar=false: it needs a directory, dest=DIR`);
    }
    if (output.type === 'docker' && isIndex) {
      throw new TsbuildError('USAGE', 'Cannot write an image of several platforms for Docker: its archives hold one', {
        hint: 'Use type=oci, or build for one platform.',
      });
    }
  },
  async run(session, result, output) {
    const image = await result.image(output);
    const names = (output.names ?? []).map((name) => formatReference(parseNewName(name)));
    const { descriptor } = image;
    const images = names.length === 0 ? [{ name: undefined, descriptor }] : names.map((name) => ({ name, descriptor }));
    await write(session, images, output);
    return image;
  },
};

async function write(session: ExportSession, images: readonly NamedImage[], output: ArchiveOutput): Promise<void> {
  const { type, dest } = output;
  if (output.tar === false && dest !== undefined) return writeLayout(session, images, dest);
  if (type === 'docker' && dest === undefined) {
    const { loadIntoDocker } = await import('./docker-daemon.ts');
    return loadIntoDocker(session, images);
  }
  await saveImages(session, images, dest === undefined || dest === '-' ? { stream: streamOf(session) } : { path: dest });
}
