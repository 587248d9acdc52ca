import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/temporary.ts',
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    // As users have it: Node loads the package and the tasks, not Vite.
    server: { deps: { external: [/\/(build|dist)\//, /\/test\/fixtures\/tasks\//] } },
    // The tests start worker threads and processes of their own; on two cores more files at once only slow each other down.
    maxWorkers: 2,
  },
})
