/** What was asked, by whom it was made, what came out, and what was warned of. */
import { formatSize } from '../text/quantities.ts';
import { type Html, markup } from './html.ts';
import type { PageData } from './page-data.ts';

export function detailsSection({ record }: PageData): Html {
  const { asked, madeBy, warnings, outputs } = record;
  const facts: (readonly [string, string])[] = [
    ['Build', record.id],
    ['Context', asked.context],
    ['Dockerfile', record.dockerfile?.name ?? asked.dockerfile ?? ''],
    ['Platforms', asked.platforms.join(', ')],
    ['Outputs', asked.outputs.join(', ')],
    ['Build arguments', asked.buildArgs.join(', ')],
    ['Labels', asked.labels.join(', ')],
    ['Secrets', [...asked.secrets, ...asked.ssh.map((id) => `ssh ${id}`)].join(', ')],
    ['Cache', asked.noCache ? 'not used' : ''],
    ['tsbuild', `${madeBy.tsbuild} with Node ${madeBy.node.replace(/^v/, '')}`],
    ['Machine', `${madeBy.platform}, Linux ${madeBy.kernel}, ${madeBy.cores} cores, ${formatSize(madeBy.memoryBytes)}, as ${madeBy.user}`],
  ];
  return markup`${warnings.length > 0 && markup`<h3>Warnings</h3><ul class="warnings">${warnings.map(({ message, rule, hint }) => markup`<li>${rule !== undefined && markup`<code>${rule}</code> `}${message}${hint !== undefined && markup` <small>${hint}</small>`}</li>`)}</ul>`}
${record.isCut && markup`<p class="note">More happened than a record holds: what came last is not in it.</p>`}
${outputs.length > 0 && markup`<h3>Outputs</h3><ul class="outputs">${outputs.map(({ action, digest, names, size }) => markup`<li>${action} <code class="digest">${digest}</code> ${names.join(', ')} <small>${formatSize(size)}</small></li>`)}</ul>`}
<h3>Asked and made by</h3>
<dl class="facts">${facts.filter(([, value]) => value !== '').map(([name, value]) => markup`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}
