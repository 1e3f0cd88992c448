import type { BenchContext, Sample, Subject } from './context.ts'

export interface Contender {
  readonly name: string
  measure(): Promise<Sample>
}

/**
 * Measures every contender once to warm it up, then `rounds` times, taking turns (A B C, B C A, C A B, …), so that
 * whatever else the machine does weighs on all alike.
 */
export async function takeTurns(contenders: readonly Contender[], context: BenchContext): Promise<Subject[]> {
  const samples = contenders.map(() => new Array<Sample>())
  for (const contender of contenders) {
    context.progress(`warm-up: ${contender.name}`)
    await contender.measure()
  }
  for (let round = 0; round < context.rounds; round++) {
    for (let turn = 0; turn < contenders.length; turn++) {
      const index = (round + turn) % contenders.length
      const contender = contenders[index]
      if (!contender) continue
      context.signal.throwIfAborted()
      const sample = await contender.measure()
      samples[index]?.push(sample)
      context.progress(`round ${round + 1}/${context.rounds}: ${contender.name} ${sample.value.toPrecision(4)}`)
    }
  }
  return contenders.map((contender, index) => ({ name: contender.name, samples: samples[index] ?? [] }))
}
