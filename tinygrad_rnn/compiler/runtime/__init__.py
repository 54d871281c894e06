"""What runs compiled programs: kernels, their memory and threads, and the cache on disk."""
