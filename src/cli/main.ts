#!/usr/bin/env node
import { claimStdout } from './terminal.ts'

// Before anything else is loaded: nothing may print to stdout but us.
claimStdout()
const { main } = await import('./program.ts')
process.exitCode = await main(process.argv.slice(2))
