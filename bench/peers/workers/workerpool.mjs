// @ts-check
import workerpool from 'workerpool'
import run from '../task-of-run.mjs'

workerpool.worker({ run })
