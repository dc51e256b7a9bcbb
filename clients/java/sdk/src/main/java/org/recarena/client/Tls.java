package org.recarena.client;

import io.grpc.ChannelCredentials;
import io.grpc.TlsChannelCredentials;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.Signature;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.Collection;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Whom an encrypted channel trusts, and what the client shows of itself: {@code
 * options.credentials(Tls.trusting(ca).showing(certificate, key).credentials())}.
 *
 * <p>All files are in PEM form and read at once: what is wrong with one is a {@link
 * BadCredentialsException} here and not a connection that fails later.
 */
public final class Tls {
    private static final Pattern KEY =
            Pattern.compile("-----BEGIN ([A-Z ]*)PRIVATE KEY-----([^-]+)-----END");
    private static final Pattern CERTIFICATE = Pattern.compile("-----BEGIN CERTIFICATE-----");

    private final Optional<byte[]> authority;
    private final Optional<byte[]> certificate;
    private final Optional<byte[]> key;

    private Tls(Optional<byte[]> authority, Optional<byte[]> certificate, Optional<byte[]> key) {
        this.authority = authority;
        this.certificate = certificate;
        this.key = key;
    }

    /** Trusts the authorities that the Java runtime trusts. */
    public static Tls system() {
        return new Tls(Optional.empty(), Optional.empty(), Optional.empty());
    }

    /**
     * Trusts one authority alone: the one that signed the server's certificate.
     *
     * @throws BadCredentialsException the file cannot be read, or holds no certificate
     */
    public static Tls trusting(Path authority) {
        byte[] pem = read(authority);
        certificates(authority, pem);
        return new Tls(Optional.of(pem), Optional.empty(), Optional.empty());
    }

    /**
     * The same, showing a certificate where the server asks for one.
     *
     * @param certificate the client's own, and its chain
     * @param key of that certificate, in PKCS #8 form
     * @throws BadCredentialsException a file cannot be read, is not what it is given as, or the two
     *     do not fit
     */
    public Tls showing(Path certificate, Path key) {
        byte[] shown = read(certificate);
        byte[] secret = read(key);
        PublicKey ours = certificates(certificate, shown).iterator().next().getPublicKey();
        try {
            if (!fit(ours, privateKey(key, secret, ours.getAlgorithm()))) {
                throw new BadCredentialsException(
                        key + " is not the key of " + certificate
                                + ": see whose they are with openssl x509 and openssl pkey");
            }
        } catch (GeneralSecurityException | IllegalArgumentException error) {
            throw new BadCredentialsException(
                    key + " holds no " + ours.getAlgorithm() + " key of " + certificate
                            + ": see what they are with openssl x509 and openssl pkey");
        }
        return new Tls(authority, Optional.of(shown), Optional.of(secret));
    }

    /** What {@link ServeOptions#credentials} takes. */
    public ChannelCredentials credentials() {
        TlsChannelCredentials.Builder builder = TlsChannelCredentials.newBuilder();
        try {
            if (authority.isPresent()) {
                builder.trustManager(new ByteArrayInputStream(authority.get()));
            }
            if (certificate.isPresent() && key.isPresent()) {
                builder.keyManager(
                        new ByteArrayInputStream(certificate.get()),
                        new ByteArrayInputStream(key.get()));
            }
        } catch (IOException impossible) {
            throw new IllegalStateException("bytes in memory could not be read", impossible);
        }
        return builder.build();
    }

    private static byte[] read(Path path) {
        try {
            return Files.readAllBytes(path);
        } catch (NoSuchFileException error) {
            throw new BadCredentialsException(path + " cannot be read: there is no such file");
        } catch (IOException error) {
            throw new BadCredentialsException(
                    path + " cannot be read: " + Texts.described(error));
        }
    }

    private static Collection<X509Certificate> certificates(Path path, byte[] pem) {
        try {
            if (CERTIFICATE.matcher(latin(pem)).find()) {
                var found = CertificateFactory.getInstance("X.509")
                        .generateCertificates(new ByteArrayInputStream(pem));
                return found.stream().map(X509Certificate.class::cast).toList();
            }
        } catch (CertificateException error) {
            // It begins like one and is none: as below.
        }
        throw new BadCredentialsException(
                path + " holds no certificate in PEM form:"
                        + " openssl x509 -inform der turns one in DER form into it");
    }

    private static PrivateKey privateKey(Path path, byte[] pem, String algorithm)
            throws GeneralSecurityException {
        Matcher found = KEY.matcher(latin(pem));
        if (!found.find()) {
            throw new BadCredentialsException(
                    path + " holds no key in PEM form: see what it is with openssl pkey -in");
        }
        if (found.group(1).startsWith("ENCRYPTED") || found.group(2).contains("ENCRYPTED")) {
            throw new BadCredentialsException(
                    path + " has a password: take it off with openssl pkey");
        }
        if (!found.group(1).isEmpty()) {
            throw new BadCredentialsException(
                    path + " holds a key that is not in PKCS #8 form:"
                            + " openssl pkcs8 -topk8 -nocrypt turns it into that");
        }
        byte[] der = Base64.getMimeDecoder().decode(found.group(2));
        return KeyFactory.getInstance(algorithm).generatePrivate(new PKCS8EncodedKeySpec(der));
    }

    /** Whether what one key signs, the other verifies. */
    private static boolean fit(PublicKey ours, PrivateKey secret) throws GeneralSecurityException {
        String algorithm = switch (ours.getAlgorithm()) {
            case "RSA" -> "SHA256withRSA";
            case "EC" -> "SHA256withECDSA";
            default -> ours.getAlgorithm();
        };
        byte[] said = {1, 2, 3};
        Signature signature = Signature.getInstance(algorithm);
        signature.initSign(secret);
        signature.update(said);
        byte[] signed = signature.sign();
        signature.initVerify(ours);
        signature.update(said);
        return signature.verify(signed);
    }

    private static String latin(byte[] bytes) {
        return new String(bytes, StandardCharsets.ISO_8859_1);
    }
}
