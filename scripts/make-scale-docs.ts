// Writes the plan into docs/scale.md, from docs/cost.json. With --check it writes nothing and fails when it is not
// current; with --print it prints the plan.
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { format, resolveConfig } from 'prettier'

import { ASSUMPTIONS, planFor, type MeasuredCost } from './scale-plan.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const page = `${root}docs/scale.md`

/** The page with the plan that follows from the measured cost. */
export async function renderScalePage(): Promise<string> {
  const written = readFileSync(page, 'utf8')
  const cost = JSON.parse(readFileSync(`${root}docs/cost.json`, 'utf8')) as MeasuredCost
  const plan = `<!-- plan:begin -->\n\n${renderPlan(cost)}\n\n<!-- plan:end -->`
  const text = written.replace(/<!-- plan:begin -->[\s\S]*<!-- plan:end -->/, () => plan)
  return format(text, { ...(await resolveConfig(page)), parser: 'markdown', proseWrap: 'preserve' })
}

export function renderPlan(cost: MeasuredCost): string {
  const a = ASSUMPTIONS
  const plan = planFor(cost, a)
  const money = plan.dollarsPerMonth
  return [
    table('measured', [
      [
        'store a media item of 64 KiB',
        `${micros(cost.storeCpuSeconds)} of a core, ${cost.storeTransactions.toFixed(1)} transactions`,
      ],
      ['read it', `${micros(cost.readCpuSeconds)} of a core, ${cost.readTransactions.toFixed(1)} transactions`],
      [
        'publish a parcel of three',
        `${micros(cost.publishCpuSeconds)} of a core, ${cost.publishTransactions.toFixed(1)} transactions`,
      ],
      ['1 GiB in, through a node', `${cost.storeGibCpuSeconds.toFixed(2)} s of a core`],
      ['1 GiB out, through a node', `${cost.readGibCpuSeconds.toFixed(2)} s of a core`],
      ['rows and indexes of a media item, of a parcel of three', `${cost.mediaRowBytes} B, ${cost.parcelRowBytes} B`],
    ]),
    table('assumed', [
      ['users, active on a day', `${number(a.users)}, ${percent(a.activePerDay)}`],
      ['media per active user and day, reads of each', `${a.mediaPerActiveUser}, ${a.readsPerMedia}`],
      ['mean size, lifetime', `${number(a.meanMediaBytes)}B, ${a.keptDays} days`],
      ['peak against mean, reads served by a CDN', `${a.peakToMean}, ${percent(a.cdnHitShare)}`],
      ['one database', `${number(a.databaseTransactionsPerSecond)} transactions/s, ${number(a.databaseBytes)}B`],
      ['one node', `${a.coresPerNode} cores, used to ${percent(a.nodeUse)} at peak`],
    ]),
    table('follows', [
      ['media sent, read, at peak', `${number(plan.mediaPerSecond)}/s, ${number(plan.readsPerSecond)}/s`],
      ['bytes in, out, at peak', `${number(plan.inBytesPerSecond)}B/s, ${number(plan.outBytesPerSecond)}B/s`],
      ['stored', `${number(plan.liveMedia)} media, ${number(plan.storedBytes)}B`],
      [
        'transactions at peak, all databases',
        `${number(plan.transactionsPerSecond)}/s, ${number(plan.databaseBytes)}B`,
      ],
      ['**cells** (one database each)', `${plan.databases}`],
      ['users of a cell', number(a.users / plan.databases)],
      ['nodes, direct transfer', `${number(plan.nodesDirect)} (${perCell(plan.nodesDirect, plan.databases)} a cell)`],
      [
        'nodes, if they transferred every byte',
        `${number(plan.nodesProxied)} (${perCell(plan.nodesProxied, plan.databases)} a cell)`,
      ],
      [
        'requests to the store at peak',
        `${number(plan.storePutsPerSecond)} PUT/s, ${number(plan.storeGetsPerSecond)} GET/s (${perCell(plan.storePutsPerSecond + plan.storeGetsPerSecond, plan.databases)}/s a cell)`,
      ],
      [
        'dollars a month',
        `${number(sum(money))}: stored ${number(money.stored)}, egress ${number(money.egress)}, requests ${number(money.requests)}, databases ${number(money.databases)}, nodes ${number(money.nodes)}`,
      ],
      ['dollars per terabyte sent, stored and read', plan.dollarsPerTerabyte.toFixed(0)],
    ]),
  ].join('\n\n')
}

function table(title: string, rows: readonly (readonly [string, string])[]): string {
  return [`| ${title} | |`, '|---|---|', ...rows.map(row => `| ${row.join(' | ')} |`)].join('\n')
}

const UNITS = ['', ' k', ' M', ' G', ' T', ' P']

/** Two digits are more than such a plan knows. */
function number(value: number): string {
  const step = Math.min(UNITS.length - 1, Math.max(0, Math.floor(Math.log10(value) / 3)))
  return `${Number((value / 1000 ** step).toPrecision(2))}${UNITS[step] ?? ''}`
}

const micros = (seconds: number): string => `${number(seconds * 1e6)} µs`
const percent = (share: number): string => `${Math.round(share * 100)} %`
const perCell = (all: number, cells: number): string => number(Math.ceil(all / cells))
const sum = (parts: Readonly<Record<string, number>>): number =>
  Object.values(parts).reduce((all, each) => all + each, 0)

if (import.meta.main) {
  const current = readFileSync(page, 'utf8')
  const rendered = await renderScalePage()
  if (process.argv.includes('--print')) {
    console.log(renderPlan(JSON.parse(readFileSync(`${root}docs/cost.json`, 'utf8')) as MeasuredCost))
  } else if (process.argv.includes('--check')) {
    if (current !== rendered) {
      console.error('docs/scale.md is not current: run `npm run docs`')
      process.exitCode = 1
    }
  } else writeFileSync(page, rendered)
}
