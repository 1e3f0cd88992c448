import type { ParcelItem } from '../../client/node/index.ts'
import { selectorOf } from '../commands/get.ts'
import { UsageError } from '../exit-codes.ts'

export interface Choosable {
  readonly items: readonly ParcelItem[]
  readonly isFilm: (index: number) => boolean
}

/**
 * Which item is meant: by its number, counted from 1, or by a pattern for its name; the first film when nothing is
 * said, else the first item.
 * @throws UsageError when there is none
 */
export function chooseItem({ items, isFilm }: Choosable, wanted: string | undefined): ParcelItem {
  const candidates = wanted === undefined ? items : matching(items, wanted)
  const chosen = candidates.find(({ index }) => isFilm(index)) ?? candidates[0]
  if (chosen) return chosen
  throw new UsageError(
    wanted === undefined
      ? 'This link holds nothing.'
      : 'No item of this link has this number or a name that matches; `sealift ls` lists them.',
  )
}

function matching(items: readonly ParcelItem[], wanted: string): readonly ParcelItem[] {
  const named = items.filter(selectorOf([wanted]))
  if (named.length > 0 || !/^\d+$/.test(wanted)) return named
  return items.slice(Number(wanted) - 1, Number(wanted))
}
