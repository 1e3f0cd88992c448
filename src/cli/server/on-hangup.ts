/** Calls `listener` at each SIGHUP, until disposed. */
export function onHangup(listener: () => void): Disposable {
  process.on('SIGHUP', listener)
  return { [Symbol.dispose]: () => void process.off('SIGHUP', listener) }
}
