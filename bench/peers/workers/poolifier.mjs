// @ts-check
import { ThreadWorker } from 'poolifier'
import run from '../task-of-run.mjs'

export default new ThreadWorker((/** @type {any} */ input) => run(input))
