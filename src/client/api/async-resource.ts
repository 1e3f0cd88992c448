/// <reference lib="esnext.disposable" preserve="true" />

/**
 * What `await using` closes. The reference above brings `Symbol.asyncDispose` into projects whose `lib` lacks it, which
 * is why published types use this and not `AsyncDisposable`.
 */
export interface AsyncResource {
  [Symbol.asyncDispose](): Promise<void>
}
