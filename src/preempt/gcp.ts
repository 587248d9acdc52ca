import { type Source, senseless } from './source.ts'

export const GCP_URL = 'http://169.254.169.254'

const INSTANCE = '/computeMetadata/v1/instance'

/** How long a question may hang until something changes, in seconds. */
const HANG = 30

/** Milliseconds for an answer: what it may hang, and what is sure to be enough to carry it. */
const TIMEOUT = HANG * 1000 + 5000

/** Milliseconds between an answer and the next question. What changes meanwhile is not missed: the ETag differs. */
const CADENCE = 1000

/** An ETag that no value has: the first answer is given at once. */
const NO_ETAG = 'NONE'

/**
 * Compute Engine's metadata server: a preemption (30 s ahead), and the end of the VM for maintenance of its host (60 s).
 *
 * @see https://cloud.google.com/compute/docs/instances/create-use-preemptible#detecting_if_an_instance_was_preempted
 * @see https://cloud.google.com/compute/docs/metadata/getting-live-migration-notice
 */
export function gcpSources(): Source[] {
  return [
    watchValue('preempted', true, (value) => value === 'TRUE', 'Google Cloud gave notice that it preempts this VM'),
    watchValue(
      'maintenance-event',
      false,
      (value) => value === 'TERMINATE_ON_HOST_MAINTENANCE',
      'Google Cloud gave notice that it ends this VM for maintenance of its host',
    ),
  ]
}

/** Watches a value by questions that hang until it changes. */
function watchValue(name: string, isVital: boolean, isNotice: (value: string) => boolean, sentence: string): Source {
  let etag = NO_ETAG
  return {
    cadence: CADENCE,
    isVital,
    read: async (ask) => {
      const path = `${INSTANCE}/${name}?wait_for_change=true&timeout_sec=${HANG}&last_etag=${encodeURIComponent(etag)}`
      const answer = await ask({ path, headers: { 'Metadata-Flavor': 'Google' }, timeout: TIMEOUT })
      const value = answer.body.trim()
      // Whatever else may answer at this address (a captive portal, another cloud) does so with another status, or with a page.
      if (answer.status !== 200 || !/^[A-Z_]+$/.test(value)) throw senseless(answer, path)
      etag = typeof answer.headers.etag === 'string' ? answer.headers.etag : NO_ETAG
      return isNotice(value) ? { kind: 'notice', reason: new Error(sentence) } : undefined
    },
  }
}
