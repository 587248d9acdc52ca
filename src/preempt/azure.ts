import type { Ask } from './ask.ts'
import { readObject, type Source, senseless } from './source.ts'

export const AZURE_URL = 'http://169.254.169.254'

const EVENTS = '/metadata/scheduledevents?api-version=2020-07-01'
const NAME = '/metadata/instance/compute/name?api-version=2020-06-01&format=text'
const HEADERS = { Metadata: 'true' }

/** Milliseconds between two questions. An eviction is told at least 30 s ahead; Azure recommends to ask every second. */
const CADENCE = 1000

/** Milliseconds for an answer. */
const TIMEOUT = 5000

/** Milliseconds for the first answer: the first question turns the service on, which takes up to two minutes. */
const FIRST_TIMEOUT = 130_000

const ENDINGS = ['Preempt', 'Terminate']

/**
 * Azure Scheduled Events: the eviction of a spot VM, and the deletion of a VM of a scale set.
 *
 * Every VM of a scale set or an availability set is told the events of all. So the service is asked for this VM's name;
 * where it does not tell, an event counts whichever VM it names.
 *
 * @see https://learn.microsoft.com/azure/virtual-machines/linux/scheduled-events
 */
export function azureSources(): Source[] {
  let timeout = FIRST_TIMEOUT
  let name: string | undefined
  return [
    {
      cadence: CADENCE,
      isVital: true,
      read: async (ask) => {
        const answer = await ask({ path: EVENTS, headers: HEADERS, timeout })
        const { Events: events } = readObject(answer, EVENTS)
        if (!Array.isArray(events)) throw senseless(answer, EVENTS)
        timeout = TIMEOUT
        const endings = events.filter((event) => ENDINGS.includes(event?.EventType))
        if (endings.length === 0) return undefined
        name ??= await askName(ask)
        const ending = endings.find(({ Resources: resources }) => isAbout(name, resources))
        return ending && { kind: 'notice', reason: describe(ending) }
      },
    },
  ]
}

function isAbout(name: string | undefined, resources: unknown): boolean {
  if (name === undefined || !Array.isArray(resources) || resources.length === 0) return true
  return resources.some((resource) => String(resource).toLowerCase() === name.toLowerCase())
}

/** What Azure calls this VM; undefined when it does not tell. */
async function askName(ask: Ask): Promise<string | undefined> {
  const answer = await ask({ path: NAME, headers: HEADERS, timeout: TIMEOUT }).catch(() => undefined)
  const name = answer?.status === 200 ? answer.body.trim() : ''
  return /^[\w.-]{1,100}$/.test(name) ? name : undefined
}

function describe({ EventType: type, NotBefore: time }: { EventType?: unknown; NotBefore?: unknown }): Error {
  const what = type === 'Preempt' ? 'evicts this spot VM' : 'deletes this VM'
  const when = typeof time === 'string' && time !== '' ? `, not before ${time}` : ''
  return new Error(`Azure gave notice that it ${what}${when}`)
}
