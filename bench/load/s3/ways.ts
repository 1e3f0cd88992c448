import { bareWay } from './bare.ts'
import { directWay } from './direct.ts'
import { proxiedWay } from './proxied.ts'

export const WAYS = { bare: bareWay, proxied: proxiedWay, direct: directWay }
