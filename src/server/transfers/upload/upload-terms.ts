/** The numbers of the section `transfer` that uploads go by; read anew for each request, so that a reload applies. */
export interface UploadTerms {
  readonly partBytes: number
  readonly uploadExpiryMs: number
  readonly formMaxFiles: number
}
