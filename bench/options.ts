import { parseArgs } from 'node:util'
import { tmpdir } from 'node:os'

export interface BenchOptions {
  /** Names of the rows to run; empty: all. */
  readonly only: readonly string[]
  readonly quick: boolean
  readonly full: boolean
  readonly rounds: number | null
  /** Where the figures are also written as JSON; `null`: nowhere. */
  readonly json: string | null
  /** Where the picture goes; `null`: nowhere. */
  readonly svg: string | null
  /** The folder under which temporary files go. */
  readonly directory: string
  readonly help: boolean
}

export const USAGE = `npm run bench -- [options]

  --only ROW        run one row (may be repeated)
  --quick           small sizes, two rounds: shows that it works, not how fast anything is
  --full            longer films: 4 GiB packaged, 200 MB sent live (5 more minutes a round)
  --rounds N        measured rounds (5)
  --json FILE       also write the figures as JSON
  --svg FILE        also draw them
  --save            write docs/benchmark.json and docs/benchmark.svg
  --dir FOLDER      where temporary files go (the system's temporary folder); about 8 GiB
`

/** Throws a `TypeError` that says what is wrong with the arguments. */
export function parseOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string', multiple: true, default: [] },
      quick: { type: 'boolean', default: false },
      full: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      json: { type: 'string' },
      svg: { type: 'string' },
      save: { type: 'boolean', default: false },
      dir: { type: 'string', default: tmpdir() },
      help: { type: 'boolean', default: false },
    },
  })
  const rounds = values.rounds === undefined ? null : Number(values.rounds)
  if (rounds !== null && (!Number.isInteger(rounds) || rounds < 1))
    throw new TypeError('--rounds takes a whole number.')
  return {
    only: values.only,
    quick: values.quick,
    full: values.full,
    rounds,
    json: values.json ?? (values.save ? 'docs/benchmark.json' : null),
    svg: values.svg ?? (values.save ? 'docs/benchmark.svg' : null),
    directory: values.dir,
    help: values.help,
  }
}
