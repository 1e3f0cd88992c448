/** Clocks that are kept by NTP differ by far less. */
export const CLOCK_NOTE_MS = 5000
