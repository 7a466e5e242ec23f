// The types as an app uses them; compiled only.
import { once } from 'node:events';
import { Client, ClientEvent, TimError } from 'timlogin';

export async function logIn(ticket: string): Promise<string> {
  const client = new Client({ server_url: 'http://127.0.0.1:7700', sdk_app_id: 1400000001 });
  client.on('kickedOffline', ({ by }) => console.log(by?.deviceName.length));
  client.prependListener('connection', ({ status }) => console.log(status === 'connected'));
  client.once('closed', () => undefined);
  // @ts-expect-error there is no such event
  client.on('message', () => undefined);
  // @ts-expect-error there is no such hint
  client.notify('sleep');
  // @ts-expect-error there is no such key
  new Client({ server_url: 'http://127.0.0.1:7700', sdk_app_id: 1400000001, device: 'phone' });
  try {
    await client.login('alice', ticket);
  } catch (error) {
    if (error instanceof TimError && error.isRetryable) console.log(error.retryAfterMs.toFixed());
  }
  await once(client, 'closed');
  return client.unref().ref().user;
}

export async function watch(client: Client): Promise<number> {
  for await (const event of client.events()) console.log(inWords(event));
  return Client.find('alice')?.serverTimeMs ?? 0;
}

function inWords(event: ClientEvent): string {
  switch (event.type) {
    case 'connection': return event.status;
    case 'kickedOffline': return event.by?.cause ?? event.message;
    case 'userSigExpiring': return event.secondsLeft.toFixed();
    case 'userSigExpired': return event.message;
  }
}
