/** How many scenarios a test went through: each file says it, and the file that knows the sum asserts it. */
import { after } from 'node:test';

const counts = new Map<string, number>();

export function countScenarios(table: string, count: number): void {
  counts.set(table, (counts.get(table) ?? 0) + count);
}

after(() => {
  for (const [table, count] of counts) console.log(`${table}: ${count} scenarios`);
});
