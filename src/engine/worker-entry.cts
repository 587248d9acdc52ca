/**
 * What Piscina loads in each thread. It requires a file first and imports it only when that fails; but a thread that is ended
 * while it requires an ES module can take the whole process down (seen on Node 20.20: an assertion of Node's own, in 1 of
 * 1,000 threads ended as they start). So this is CommonJS, and what it stands for is imported. Piscina waits for the promise.
 */
module.exports = {
  __esModule: true,
  default: import('./worker.ts').then((worker) => worker.default),
}
