/** An answer of Paymob's that is none of success; the texts are the documented ones unless marked. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly body: Record<string, unknown>,
  ) {
    super(JSON.stringify(body));
  }
}

const says = (status: number, message: string) => new ApiError(status, { message });
const details = (status: number, detail: string) => new ApiError(status, { detail });

export const incorrectCredentials = () => details(401, 'incorrect credentials');
export const duplicateReference = () => says(400, 'Reference ID already exists.');
export const noIntegration = () =>
  details(
    404,
    'Integration ID/Name does not exist in our system . You can find the list of Integration ID’/Names from Merchant Dashboard under Developers → Payment Integrations Tab',
  );
/** [assumed: the framework's text] */
export const notFound = () => details(404, 'Not found.');
/** [assumed: the framework's text] */
export const wrongMediaType = (type: string) => details(415, `Unsupported media type "${type}" in request.`);
/** [assumed: the framework's text] */
export const notJson = () => details(400, 'JSON parse error');
/** [assumed: shape of the published expiry error, for every field] */
export function invalid(errors: Readonly<Record<string, readonly string[]>>): ApiError {
  const [field = '', [text] = []] = Object.entries(errors)[0] ?? [];
  return new ApiError(400, { message: `${field} - ${text}`, errors });
}

export const captureTooLarge = () => details(400, 'Capture amount cannot exceed auth amount');
export const notCapturable = () => details(404, 'Invalid transaction id');
export const unknownTransaction = () => says(422, 'Transaction ID does not exist in our system.');
export const fullyRefunded = () => says(400, 'Full Amount has been already refunded');
export const refundTooLarge = (most: string) =>
  says(
    400,
    `Requested Refund Amount is greater than the maximum refund amount permissible. Maximum Refund Amount is ${most}`,
  );
/** [assumed: like the refund errors] */
export const notRefundable = () => says(400, 'Transaction can not be refunded');
/** [assumed: like the refund errors] */
export const notVoidable = () => says(400, 'Transaction can not be voided');
/** [assumed: keys of the success answer] */
export const notCancellable = (state: string) =>
  new ApiError(400, { success: false, message: `Payment link is already ${state}` });
