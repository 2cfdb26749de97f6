begin return old; end
