package webpage

import "net/http"

// policy is what the page may do (Content Security Policy, level 3). It runs its own files and nothing else. It may
// speak to any relay, since a trader chooses those, and by https to what a trade can name: the service behind a
// Lightning address, or a store of encrypted pictures. Pictures are shown from the page's own memory alone.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; " +
	"connect-src 'self' ws: wss: https:; worker-src 'self'; manifest-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// features takes away what the page never asks for, so that nothing in it can.
const features = "accelerometer=(), autoplay=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), hid=(), " +
	"magnetometer=(), microphone=(), midi=(), payment=(), serial=(), usb=(), xr-spatial-tracking=()"

// guard sets the headers that every answer has, errors among them.
func guard(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY") // browsers that know no frame-ancestors
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Origin-Agent-Cluster", "?1")
	h.Set("Permissions-Policy", features)
	h.Set("X-DNS-Prefetch-Control", "off")
}
