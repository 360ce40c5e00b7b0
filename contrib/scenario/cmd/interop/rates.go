package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// rates answers mostro-cli's question for the list of currencies, which it asks of api.yadio.io before it sends an order
// at market price. It is an HTTPS proxy on loopback with a certificate of its own, so that a run needs no network and
// leaves no trace at a stranger's.
type rates struct {
	net.Listener
	ca   string // path of the certificate that signs
	cert tls.Certificate
}

// ratesHost is the only host that the proxy plays.
const ratesHost = "api.yadio.io"

const currencies = `{"EUR":"Euro","USD":"US Dollar","ARS":"Argentine Peso"}`

func listenRates(dir string) (*rates, error) {
	r := &rates{ca: filepath.Join(dir, "ca.pem")}
	if err := r.certify(); err != nil {
		return nil, fmt.Errorf("certificate of the currency list: %w", err)
	}
	var err error
	if r.Listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	go func() { // ends when the listener is closed
		for {
			c, err := r.Accept()
			if err != nil {
				return
			}
			go r.answer(c)
		}
	}()
	return r, nil
}

// Env tells a client to ask here.
func (r *rates) Env() []string {
	return []string{"HTTPS_PROXY=http://" + r.Addr().String(), "SSL_CERT_FILE=" + r.ca}
}

// answer serves one connection: CONNECT, then one request.
func (r *rates) answer(c net.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second)) // without one the goroutine might stay: then the test's end ends it
	q, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil || q.Method != http.MethodConnect || q.URL.Hostname() != ratesHost {
		_, _ = io.WriteString(c, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n") // the client sees a broken proxy
		return
	}
	if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return
	}
	s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{r.cert}, NextProtos: []string{"http/1.1"}})
	defer s.Close()
	if _, err := http.ReadRequest(bufio.NewReader(s)); err != nil {
		return
	}
	fmt.Fprintf(s, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(currencies), currencies)
}

// certify makes an authority that lasts for this run, and the host's certificate.
func (r *rates) certify() error {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "interop"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	host := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: ratesHost}, DNSNames: []string{ratesHost},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return err
	}
	der, err := x509.CreateCertificate(rand.Reader, host, ca, key.Public(), caKey)
	if err != nil {
		return err
	}
	r.cert = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return os.WriteFile(r.ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}), 0o600)
}
