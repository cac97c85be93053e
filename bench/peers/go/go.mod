module github.com/posthaste-events/posthaste/bench/peers/go

go 1.21

require github.com/optimizely/go-sdk v1.0.0-beta7
