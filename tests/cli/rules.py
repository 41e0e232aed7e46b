"""Rule files that the tests of the commands use."""

HTTPBIN = """\
apiVersion: config.istio.io/v1alpha2
kind: EgressRule
metadata:
  name: httpbin-egress-rule
spec:
  destination:
    service: httpbin.org
  ports:
  - port: 80
    protocol: http
"""

STRIPE = """\
apiVersion: exitway.dev/v1
kind: EgressRule
metadata: {name: stripe, namespace: shop, labels: {team: money}}
spec:
  workloadSelector: {matchLabels: {app: checkout}}
  to:
  - hosts: [api.stripe.com, "*.stripe.network"]
    ports: [{number: 443, protocol: TLS}]
  - hosts: [legacy.example]
    ports: [{number: 80, protocol: HTTP}]
    originateTLS: true
"""
