import { pairedRatios } from '../statistics.ts'
import type { Aim, Peer, Subject } from '../context.ts'

export const SEALIFT = 'Sealift'

export interface Bound {
  /** Whose figure is compared; Sealift's when absent. */
  readonly subject?: string
  readonly peer: string
  /** Absent: the ratio is reported, but not judged. */
  readonly atLeast?: number
  /** True where a smaller value is better: the ratio is then theirs ÷ ours. */
  readonly smallerWins?: boolean
}

/** One aim for each bound whose peer took part. */
export function aimsAgainst(subjects: readonly Subject[], bounds: readonly Bound[]): Aim[] {
  const values = (name: string): number[] | null =>
    subjects.find(subject => subject.name === name)?.samples.map(sample => sample.value) ?? null
  return bounds.flatMap(({ subject = SEALIFT, peer, atLeast, smallerWins }) => {
    const ours = values(subject)
    const theirs = values(peer)
    if (!ours || !theirs) return []
    return [
      {
        label: smallerWins ? `${peer} ÷ ${subject}` : `${subject} ÷ ${peer}`,
        ratios: smallerWins ? pairedRatios(theirs, ours) : pairedRatios(ours, theirs),
        ...(atLeast === undefined ? {} : { atLeast }),
      },
    ]
  })
}

/** Parts the peers into those that can take part and a note on each that cannot. */
export async function present<P extends Peer>(peers: readonly P[]): Promise<{ able: P[]; notes: string[] }> {
  const reasons = await Promise.all(peers.map(peer => peer.missing()))
  return {
    able: peers.filter((_, index) => reasons[index] === null),
    notes: peers.flatMap((peer, index) =>
      reasons[index] === null ? [] : [`${peer.name} left out: ${reasons[index]}.`],
    ),
  }
}
