// @ts-check
/** The tables of README.md, each from the results of one bench. */

/** @param {any} _ */
export function tableOfFormats(_) {
  return ''
}

/** @param {any} _ */
export function tableOfCheckpoints(_) {
  return ''
}

/** @param {any} _ */
export function tableOfChunkSizes(_) {
  return ''
}

/** @param {any} _ */
export function tableOfStages(_) {
  return ''
}
