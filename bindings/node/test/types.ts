// The types as an app uses them; compiled only.
import { Client, TimError } from '../index.js';

export async function logIn(ticket: string): Promise<string> {
  const client = new Client({ server_url: 'http://127.0.0.1:7700', sdk_app_id: 1400000001 });
  client.on('kickedOffline', ({ by }) => console.log(by?.deviceName.length));
  client.on('connection', ({ status }) => console.log(status === 'connected'));
  // @ts-expect-error there is no such event
  client.on('message', () => undefined);
  // @ts-expect-error there is no such hint
  client.notify('sleep');
  try {
    await client.login('alice', ticket);
  } catch (error) {
    if (error instanceof TimError && error.isRetryable) console.log(error.retryAfterMs.toFixed());
  }
  return client.unref().user;
}
