// A real Bluesky PDS with its own PLC directory, both on loopback and both forgotten when they end.
//   node pds.mjs DATA_FOLDER [JWT_SECRET]      (a known secret lets a test sign a token that is over)
// Prints one line of JSON, {"pds": "http://localhost:PORT"}, when it answers; ends when its standard input closes.
// Resolved from the folder it is started in: npm packages @atproto/pds and @did-plc/server; Node 22.
import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

const load = (name) => import(pathToFileURL(createRequire(join(process.cwd(), 'x.js')).resolve(name)))
const secret = () => randomBytes(32).toString('hex')
const freePort = () =>
  new Promise((done) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address()
      probe.close(() => done(port))
    })
  })

const folder = resolve(process.argv[2])
mkdirSync(join(folder, 'blobs'), { recursive: true })
const [plcPort, pdsPort] = [await freePort(), await freePort()]

const plc = await load('@did-plc/server')
const directory = plc.PlcServer.create({ db: plc.Database.mock(), port: plcPort })
await directory.start()

Object.assign(process.env, {
  LOG_ENABLED: 'false',
  PDS_DEV_MODE: 'true',
  PDS_HOSTNAME: 'localhost',
  PDS_PORT: String(pdsPort),
  PDS_DATA_DIRECTORY: folder,
  PDS_BLOBSTORE_DISK_LOCATION: join(folder, 'blobs'),
  PDS_DID_PLC_URL: `http://localhost:${plcPort}`,
  PDS_SERVICE_HANDLE_DOMAINS: '.test',
  PDS_INVITE_REQUIRED: 'false',
  PDS_RATE_LIMITS_ENABLED: 'true',
  PDS_DISABLE_SSRF_PROTECTION: 'true',
  PDS_ADMIN_PASSWORD: secret(),
  PDS_JWT_SECRET: process.argv[3] ?? secret(),
  PDS_DPOP_SECRET: secret(),
  PDS_PLC_ROTATION_KEY_K256_PRIVATE_KEY_HEX: secret(),
})
const { PDS, envToCfg, envToSecrets, readEnv } = await load('@atproto/pds')
const env = readEnv()
const server = await PDS.create(envToCfg(env), envToSecrets(env))
await server.start()
console.log(JSON.stringify({ pds: `http://localhost:${pdsPort}` }))

process.stdin.resume().on('end', async () => {
  await server.destroy()
  await directory.destroy()
  process.exit(0)
})
