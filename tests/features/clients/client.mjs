// node client.mjs fetch|http2|websocket URL: prints the answer; any status but 200 is a failure. A WebSocket says hello.
import http2 from 'node:http2';

const [how, url] = process.argv.slice(2);

function byHttp2() {
  return new Promise((resolve, reject) => {
    const session = http2.connect(url).on('error', reject);
    const stream = session.request({ ':path': '/' }).on('error', reject);
    let body = '', status;
    stream.on('response', (headers) => { status = headers[':status']; });
    stream.setEncoding('utf8').on('data', (block) => { body += block; });
    stream.on('end', () => { session.close(); status === 200 ? resolve(body) : reject(new Error(status)); });
  });
}

async function byFetch() {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(answer.status);
  return answer.text();
}

function byWebSocket() {
  return new Promise((resolve, reject) => {
    const stream = new WebSocket(url);
    stream.onopen = () => stream.send('hello');
    stream.onerror = reject;
    stream.onmessage = ({ data }) => { resolve(data); stream.close(); };
  });
}

try {
  console.log(await { fetch: byFetch, http2: byHttp2, websocket: byWebSocket }[how]());
} catch (error) {
  console.error(error);
  process.exitCode = 1;
}
