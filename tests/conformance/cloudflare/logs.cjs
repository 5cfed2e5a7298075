// Makes calls with Cloudflare's SDK for Node, as its users do, and says what came of each. Judged is elsewhere.
//
// In, on standard input: {base_url, account_id, gateway_id, auth, calls: [{operation, id, parameters, auth}]}; `auth` is
// {token} or {email, key}, and a call may have its own. Out: an array of one outcome per call, see `perform`. Retries are off,
// so that no failure is smoothed over.
'use strict';

const Cloudflare = require('cloudflare');

const task = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const { account_id, gateway_id } = task;

function logs(auth) {
  const options = auth.token ? { apiToken: auth.token } : { apiEmail: auth.email, apiKey: auth.key };
  return new Cloudflare({ baseURL: task.base_url, maxRetries: 0, ...options }).aiGateway.logs;
}

// Up to version 5 the gateway stands before the id; since then it is a parameter.
function ofOne(resource, operation, id, parameters) {
  return resource[operation].length === 4
    ? resource[operation](gateway_id, id, { account_id, ...parameters })
    : resource[operation](id, { account_id, gateway_id, ...parameters });
}

async function perform({ operation, id, parameters, auth }) {
  const resource = logs(auth ?? task.auth);
  switch (operation) {
    case 'list': { // every page
      const ids = [];
      for await (const entry of resource.list(gateway_id, { account_id, ...parameters })) ids.push(entry.id);
      return { ids };
    }
    case 'page':
      return { ids: (await resource.list(gateway_id, { account_id, ...parameters })).result.map((entry) => entry.id) };
    case 'get':
      return { entry: await ofOne(resource, operation, id) };
    case 'request':
    case 'response':
      return { body: await ofOne(resource, operation, id) };
    case 'edit':
      await ofOne(resource, operation, id, parameters);
      return {};
    case 'delete':
      return { success: (await resource.delete(gateway_id, { account_id, ...parameters })).success };
    default:
      throw new Error(`there is no operation ${operation}`);
  }
}

async function outcome(call) {
  try {
    return await perform(call);
  } catch (error) {
    if (!(error instanceof Cloudflare.APIError) || error.status === undefined) throw error;
    const codes = error.errors.map(({ code }) => code);
    return { error: { class: error.constructor.name, status: error.status, codes } };
  }
}

(async () => {
  const outcomes = [];
  for (const call of task.calls) outcomes.push(await outcome(call));
  process.stdout.write(JSON.stringify(outcomes));
})();
