/** The gateway of `sealift play` in this process, and what it has told. */
import { Gateway } from '../../src/cli/play/gateway.ts'
import type { Parcel } from '../../src/client/node/index.ts'

export interface TestGateway extends AsyncDisposable {
  readonly gateway: Gateway
  readonly url: (name: string, index?: number) => string
  readonly errors: readonly unknown[]
  readonly senderGone: () => number
}

export async function startGateway(parcel: Parcel): Promise<TestGateway> {
  const errors: unknown[] = []
  let gone = 0
  const gateway = await Gateway.start({
    parcel,
    port: 0,
    events: {
      onReadError: error => errors.push(error),
      onTrouble: error => errors.push(error),
      onSenderGone: () => {
        gone += 1
      },
    },
  })
  const [root] = gateway.urlOf(0).split('/0/')
  return {
    gateway,
    url: (name, index = 0) => `${root}/${index}/${name}`,
    errors,
    senderGone: () => gone,
    [Symbol.asyncDispose]: () => gateway[Symbol.asyncDispose](),
  }
}
