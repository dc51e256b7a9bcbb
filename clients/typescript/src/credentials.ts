import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";

import { BadCredentials } from "./errors.js";

/** Of an encrypted connection: PEM text, checked. Made by `tls`. */
export interface Credentials {
  /** The authority that signed the server's certificate; absent: those that Node trusts. */
  readonly ca?: Uint8Array;
  /** The client's own certificate, and its chain. */
  readonly certificate?: Uint8Array;
  /** Of that certificate. */
  readonly key?: Uint8Array;
}

/** Paths of PEM files. */
export interface TlsFiles {
  /** The authority that signed the server's certificate; absent: those that Node trusts. */
  ca?: string;
  /** The client's own certificate, and its chain, where the server asks for one. */
  certificate?: string;
  /** Of that certificate. */
  key?: string;
}

/**
 * Credentials of an encrypted connection, to give to `serve` as `credentials`.
 *
 * @throws BadCredentials a file cannot be read, is no PEM of its kind, or certificate and key do
 * not fit.
 */
export function tls({ ca, certificate, key }: TlsFiles = {}): Credentials {
  const trusted = ca === undefined ? {} : { ca: authority(ca) };
  if (certificate === undefined && key === undefined) {
    return trusted;
  }
  if (certificate === undefined || key === undefined) {
    const missing = key === undefined ? "key" : "certificate";
    throw new BadCredentials(`the ${missing} is missing: a certificate and its key go together`);
  }
  return { ...trusted, ...pair(certificate, key) };
}

function read(path: string): Uint8Array {
  try {
    return new Uint8Array(readFileSync(path));
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code === "ENOENT" ? "no such file" : String(error);
    throw new BadCredentials(`${path} cannot be read: ${why}`);
  }
}

function authority(path: string): Uint8Array {
  const text = read(path);
  if (!isPem(text) || !certificateOf(text)) {
    throw new BadCredentials(
      `${path} holds no certificate in PEM form:` +
        " openssl x509 -inform der turns one in DER form into it",
    );
  }
  return text;
}

function pair(certificatePath: string, keyPath: string): Credentials {
  const certificate = read(certificatePath);
  const key = read(keyPath);
  const shown = isPem(certificate) ? certificateOf(certificate) : undefined;
  if (!shown?.checkPrivateKey(privateKey(keyPath, certificatePath, key))) {
    throw unfit(certificatePath, keyPath);
  }
  return { certificate, key };
}

function privateKey(path: string, certificatePath: string, text: Uint8Array) {
  // Node and OpenSSL have many words for a password that is missing; the file has one.
  if (/^-----BEGIN ENCRYPTED|^Proc-Type: 4,ENCRYPTED/m.test(Buffer.from(text).toString("latin1"))) {
    throw new BadCredentials(`${path} has a password: take it off with openssl pkey`);
  }
  try {
    return createPrivateKey(Buffer.from(text));
  } catch {
    throw unfit(certificatePath, path);
  }
}

function unfit(certificate: string, key: string): BadCredentials {
  return new BadCredentials(
    `${certificate} and ${key} are no certificate and its key, in PEM form:` +
      " see which are with openssl x509 -in and openssl pkey -in",
  );
}

function isPem(text: Uint8Array): boolean {
  return Buffer.from(text).includes("-----BEGIN CERTIFICATE-----");
}

function certificateOf(text: Uint8Array): X509Certificate | undefined {
  try {
    return new X509Certificate(text);
  } catch {
    return undefined;
  }
}
