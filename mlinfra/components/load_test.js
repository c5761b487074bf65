// Requests at a constant rate, held against thresholds: `k6 run load_test.js`. Exit code 99 says that a threshold was
// not kept, 0 that all were.
//
// What is sent, and what is expected, is in the file that MLINFRA_CONFIG names; TARGET_URL stands for its `url`.
import http from 'k6/http';

const config = JSON.parse(open(__ENV.MLINFRA_CONFIG));
const target = __ENV.TARGET_URL || config.url;
const bodies = config.bodies.map((body) => JSON.stringify(body));

export const options = {
  scenarios: {
    load: {
      executor: 'constant-arrival-rate',
      rate: config.rate,
      timeUnit: '1s',
      duration: `${config.seconds}s`,
      preAllocatedVUs: Math.min(config.rate, config.clients),
      maxVUs: config.clients,
      gracefulStop: `${Math.ceil(config.timeout_seconds)}s`,
    },
  },
  thresholds: {
    http_req_failed: [`rate<=${config.error_percent / 100}`],
    http_req_duration: [`p(${config.percentile})<=${config.latency_seconds * 1000}`],
    // Requests that could not be sent in time, as all clients were waiting: the rate was not reached.
    dropped_iterations: [`count<=${Math.floor((config.rate * config.seconds * config.missed_percent) / 100)}`],
    // Without a single request the others would be kept.
    http_reqs: ['count>0'],
  },
  summaryTrendStats: ['med', 'p(95)', 'p(99)', 'max', `p(${config.percentile})`],
  discardResponseBodies: true,
  noVUConnectionReuse: false,
};

export default function () {
  const body = bodies.length ? bodies[Math.floor(Math.random() * bodies.length)] : null;
  const headers = body === null ? config.headers : { 'Content-Type': 'application/json', ...config.headers };
  if (__ENV.API_KEY) headers[config.key_header] = `${config.key_prefix}${__ENV.API_KEY}`;
  http.request(config.method, `${target}${config.path}`, body, { headers, timeout: `${config.timeout_seconds}s` });
}
