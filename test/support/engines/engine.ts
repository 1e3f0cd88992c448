/**
 * The real services that suites run against. Each `test/support/engines/<name>.ts` exports how to start its own; the
 * list of all is in `all.ts`. Within one vitest run each is started at most once, when the first test asks for it.
 */
export interface RunningEngine<Facts> extends AsyncDisposable {
  /** What a test needs to connect. Plain JSON: it travels from the process that starts engines to the tests. */
  readonly facts: Facts
}

export interface Engine<Facts> {
  readonly name: string
  start(): Promise<RunningEngine<Facts>>
}
