"""Sources that run in real time: devices, network streams, OpenIGTLink, files at their own pace."""
