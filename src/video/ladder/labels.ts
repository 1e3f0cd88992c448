import type { StreamFacts } from './facts.ts'

/** By what people choose a track. */
export interface Labels {
  /** BCP 47. */
  readonly language?: string
  readonly name?: string
  readonly isDefault: boolean
}

const MAX_CHARACTERS = 200

export function labelsOf({ tags, disposition }: StreamFacts): Labels {
  const language = languageOf(tags?.language)
  const name = tags?.title?.trim().slice(0, MAX_CHARACTERS)
  return {
    ...(language !== undefined && { language }),
    ...(name !== undefined && name !== '' && { name }),
    isDefault: disposition?.default === true,
  }
}

/** Containers say `eng`, or `ger` for `deu`; BCP 47 wants the shortest. */
function languageOf(told: string | undefined): string | undefined {
  if (told === undefined || told === 'und' || told.length > 35) return undefined
  try {
    return Intl.getCanonicalLocales(BIBLIOGRAPHIC[told] ?? told)[0]
  } catch {
    return undefined
  }
}

/** ISO 639-2/B codes, which no other standard knows. */
const BIBLIOGRAPHIC: Readonly<Record<string, string>> = Object.fromEntries(
  [
    'alb sq arm hy baq eu bur my chi zh cze cs dut nl fre fr geo ka ger de',
    'gre el ice is mac mk mao mi may ms per fa rum ro slo sk tib bo wel cy',
  ].flatMap(line => Array.from(line.matchAll(/(\w+) (\w+)/g), ([, three = '', two = '']) => [three, two] as const)),
)
