/** A clock that nobody sets. `performance` would do, but loads a dozen modules of Node, a millisecond of every start. */

/** Since some moment before the process. clock_gettime(2), CLOCK_MONOTONIC */
export function milliseconds(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}
