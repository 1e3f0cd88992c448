/** A word or phrase that neither code nor pages use. */
export interface BannedWord {
  /** Matched without regard to case. */
  readonly pattern: RegExp
  /** What to write, completing "write …". */
  readonly instead: string
  /** `prose`: comments, strings and pages; otherwise identifiers too. */
  readonly in?: 'prose'
  /** Files whose contract needs it. */
  readonly except?: RegExp
}

const THING = 'the thing that it is: the client, a caller, no client, a node'
const NOTICE = 'reports, returns, is notified, receives an event'

export const BANNED_WORDS: readonly BannedWord[] = [
  { pattern: /\bwhoever\b/, instead: THING },
  { pattern: /\bnobody\b/, instead: THING, in: 'prose' },
  { pattern: /\b(?:some|every|any)body\b/, instead: THING },
  { pattern: /\bwho finds\b/, instead: THING },
  { pattern: /\b(?:is|are|was|were|be|been|being|gets?) (?:also |then |not |never |only )?told\b/, instead: NOTICE },
  { pattern: /\btells\b/, instead: NOTICE, in: 'prose' },
  { pattern: /\bhear[sd]? (?:of|from)\b|\bunheard\b/, instead: NOTICE },
  { pattern: /\bby then\b/, instead: 'the time or the event that is meant' },
  { pattern: /\bsay(?:s|ing)? by then\b/, instead: 'the time or the event that is meant' },
  { pattern: /\b(?:stands?|standing|stood) still\b|\bstandstill\b/, instead: 'is idle, has not changed, is blocked' },
  { pattern: /\b(?:for|as) so long\b|\bso long,/, instead: 'the time or the condition that is meant' },
  { pattern: /\bin times of\b/, instead: 'the unit: in lifetimes of a URL, in seconds' },
  { pattern: /\bgo(?:es)? on alone\b/, instead: 'continues without Valkey' },
  { pattern: /\bon (?:its|their|the) way\b/, instead: 'in flight', in: 'prose' },
  { pattern: /\b(?:stands?|waits?|wait(?:ed|ing)|come|comes) in (?:the |a )?line\b/, instead: 'in the queue' },
  { pattern: /turnstile/, instead: 'advisory lock' },
  { pattern: /ledger/, instead: 'quota usage' },
  { pattern: /\bpatien(?:t|tly|ce)\b/, instead: 'queue timeout, or without the idle timeout' },
  { pattern: /answer(?:s|ed|ing)?/, instead: 'response, respond' },
  { pattern: /\b(?:at|to) hand\b|AtHand/, instead: 'cached, available' },
  { pattern: /\bg(?:ive|ives|iven|ave|iving) back\b|\bhand(?:s|ed|ing)? back\b/, instead: 'release, return' },
  { pattern: /\b(?:next|last|each|every|one|a|the) beat\b/, instead: 'heartbeat' },
  {
    pattern: /\ba media(?! (?:item|type|id|playlist|element|source|file|server|key|segment|librar))\b/,
    instead: 'a media item',
    in: 'prose',
  },
  { pattern: /\bmedias\b/, instead: 'media items' },
  { pattern: /\bfor a (?:moment|while)\b/, instead: 'the number and its unit' },
  { pattern: /\bleftovers?\b/, instead: 'unused, unreferenced' },
  { pattern: /\bthose who\b|\bhe who\b|\bone who\b/, instead: THING },
]
