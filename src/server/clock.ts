/** The wall clock, as an argument: ms since the epoch. Durations are measured with `performance.now()` instead. */
export type Clock = () => number

export const systemClock: Clock = () => Date.now()
