/** A time as the service reads it; text is passed on as it is. */
export function moment(time: string | Date): string {
  return typeof time === 'string' ? time : time.toISOString();
}
